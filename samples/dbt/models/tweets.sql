{{ config(materialized="view") }}

select * from '{{ var("tweets") }}'

-- A score is a probability, and stands beside a label or both are null.
select id, label, score from {{ ref("tweet_scores") }}
where score not between 0 and 1 or (label is null) <> (score is null)

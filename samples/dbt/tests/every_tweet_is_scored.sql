-- Each tweet has a row for the text that it has now.
select id from {{ ref("tweets") }} as tweets
anti join {{ ref("tweet_scores") }} as scores
on scores.id = tweets.id and scores.text is not distinct from tweets.text

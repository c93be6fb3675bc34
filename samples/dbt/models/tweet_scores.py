"""The label and the score of each tweet; a tweet that has them is not scored again."""

from itertools import chain

import pyarrow as pa

import scorer

BATCH_ROWS = 16_384


def model(dbt, session):
    """Return the tweets that are new, that have another text, or that another model scored."""
    dbt.config(materialized="incremental", unique_key="id", on_schema_change="fail")
    bundle = dbt.config.get("meta")["model"]
    scored_by = f"tweetscore {scorer.__version__}, {bundle or 'embedded model'}"

    tweets = dbt.ref("tweets")
    query = "select id, text, $by as scored_by, now() as scored_at from tweets"
    if dbt.is_incremental:
        query += f""" anti join {dbt.this} as scores on scores.id = tweets.id
            and scores.text is not distinct from tweets.text and scores.scored_by = $by"""
    tweets = session.sql(query, params={"by": scored_by})
    if not tweets.limit(1).fetchall():  # the model is not even loaded
        return tweets.project("*, null::varchar as label, null::float as score")

    # A stream: memory is a few batches, however many tweets are new.
    batches = scorer.Scorer(bundle or None).score_batches(tweets.to_arrow_reader(BATCH_ROWS))
    first = next(batches)
    return pa.RecordBatchReader.from_batches(first.schema, chain([first], batches))

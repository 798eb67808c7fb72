"""The SQL for a trial's value over all of its trainings, which every reader uses.

A trial's repeats are numbered (`repeat`), but may end in another order. `seq` counts them in the
order in which they were recorded, so that no clock matters. Each repeat's `value` and `se` are over
all trainings that had ended by then, so those of the last recorded repeat are the trial's.
"""

# One row for each trial that was repeated: value and error over all trainings, the seconds of the
# repeats, how many of them ended well and how many failed.
REPEATED = """(
  SELECT counted.search, counted.trial, latest.value, latest.se,
         counted.seconds, counted.repeats, counted.failed
  FROM (
    SELECT search, trial, max(CASE WHEN value IS NOT NULL THEN seq END) AS latest,
           sum(seconds) AS seconds, count(own) AS repeats, count(*) - count(own) AS failed
    FROM repeats GROUP BY search, trial
  ) counted
  LEFT JOIN repeats latest ON latest.search = counted.search AND latest.trial = counted.trial
    AND latest.seq = counted.latest
)"""

# For a trial t of `told`, joined with its row r of REPEATED: value, error and seconds over all.
VALUE = "coalesce(r.value, t.value)"
ERROR = "CASE WHEN r.value IS NULL THEN t.se ELSE r.se END"
SECONDS = "t.seconds + coalesce(r.seconds, 0.0)"
JOIN_REPEATED = f"LEFT JOIN {REPEATED} r ON r.search = t.search AND r.trial = t.trial"

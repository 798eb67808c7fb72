"""The one view of trials: which value a repeated trial has, and what every reader takes for it.

A trial's repeats are numbered (`repeat`), and may end in another order. `seq` says in which: it is
counted within the trial when a repeat is recorded, so that no clock decides anything. Each repeat's
`value` and `se` are of all trainings that had ended by then; so those of the last one hold.
"""

# By search and trial, of those that were repeated: value and error over all trainings, the seconds
# of the repeats, how many ended well and how many failed.
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

# A trial t of `told`, joined with its r of REPEATED: its value, error and seconds over all.
VALUE = "coalesce(r.value, t.value)"
ERROR = "CASE WHEN r.value IS NULL THEN t.se ELSE r.se END"
SECONDS = "t.seconds + coalesce(r.seconds, 0.0)"
JOIN_REPEATED = f"LEFT JOIN {REPEATED} r ON r.search = t.search AND r.trial = t.trial"

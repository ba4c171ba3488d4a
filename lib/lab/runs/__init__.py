"""One training run: what it printed, what it died of, and whether its number can be believed.

logs                        the log, while it grows and later
failures                    exit status and log -> what it died of
evaluation_record           what prepare.py measured -> whether it vouches for the printed number
conditions                  whether the machine was as usual
tampering                   what the run changed that it must not change
outcome                     all of that -> the metric, or why there is none
"""

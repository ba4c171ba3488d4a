"""One training run: its output, its failure, and whether its number can be trusted.

logs                        the log, during the run and later
failures                    exit status and log -> why it failed
evaluation_record           the measurement of prepare.py -> whether it confirms the printed number
conditions                  whether the machine was disturbed
tampering                   files that the run must not change -> restored
outcome                     all of these -> the metric, or why there is none
"""

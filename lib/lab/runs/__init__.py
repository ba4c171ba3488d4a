"""One training run: its output, its failure, and whether its value can be trusted.

logs                        the log, during the run and later
failures, failure_rules     exit status and log -> why the run failed
failed_baseline             a failed baseline -> a problem and a hint for a person
evaluation_record           the evaluator's record -> whether it confirms the printed value
conditions, slots           whether the machine was disturbed; which trainings shared a device
tampering                   files that the run must not change -> restored
prepare_options             whether a prepare.py knows `--check`
outcome                     all of these -> the value, or why there is none
"""

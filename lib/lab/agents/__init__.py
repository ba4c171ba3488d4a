"""Coding agents: what they print, and what they are reminded of.

cli_output                  what an agent's command line printed -> last word, cost, or what went wrong
edit_blocks                 search/replace blocks of a model without tools -> another train.py
tool_hook, stop_hook        Claude Code is about to use a tool, or to stop -> a reminder
tree_lock                   whether a loop is at work
"""

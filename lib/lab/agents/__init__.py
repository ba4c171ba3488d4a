"""Coding agents: their output, and reminders for them.

cli_output                  the output of an agent's command line -> last message, cost, fault
fault_rules                 its message about a fault -> the kind of fault, and when it ends
login                       a file with a login -> when its access token ends
edit_blocks                 search/replace blocks of a model without tools -> the new train.py
claude_tool_hook            before Claude Code uses a tool -> a reminder
claude_stop_hook            before it stops, the same
"""

"""The pretend Atlas: clusters, backups and customer keys over virtual time, behind the documented API.

Where the real Atlas' behaviour is not documented, `habits.Habits` names the guess and lets a test choose
another.
"""

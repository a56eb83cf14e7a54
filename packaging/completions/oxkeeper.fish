# Completions of oxkeeper for fish, as the installed program knows them.
oxkeeper completions fish | source

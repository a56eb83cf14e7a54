# Completions of oxkeeper for bash, as the installed program knows them.
eval "$(oxkeeper completions bash)"

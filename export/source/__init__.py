"""Where a model comes from: a directory or a name on the Hub, judged from its JSON files.

Everything here is decided before transformers is imported: its loaders believe a ``config.json``,
and some of what one can ask for is code.
"""

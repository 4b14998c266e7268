"""The field's nouns: instruments, tape rows, views, errors. Imports nothing else of ours."""

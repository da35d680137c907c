"""What a change of specs means, for people and programs: a terminal, a comment in Markdown, a page, annotations.

Whoever asks for a change may be a stranger, and what is shown has names and values from their files. So `blocks.py`
makes lines without control characters, and each form escapes every one of them.
"""

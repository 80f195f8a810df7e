"""Reports of what was judged: ``pytest conformance/ --report DIR`` writes DIR/report.json and DIR/index.html.

===============  =====================================================================
contents.py      what a report holds; ``schema.json`` says it for other languages
schema.py        whether something is a report
store.py         reading and writing, so that a file is whole at every moment
collect.py       from the tests of a run to its report, while they run
merge.py         several reports, or the shards of one run, in one
matrix.py        features against backends: what became of the cases, and how many bits
page.py          the page, from ``page.html.jinja``, ``page.css`` and ``page.js``
terminal.py      the matrix in a terminal
badge.py         a line for each backend, as shields.io reads it
baseline.py      a run recorded, and what has become worse since
===============  =====================================================================

Everything after ``collect.py`` works on the file alone: no backend is needed to show a report.
``python -m conformance.report --help`` lists what can be done with one.
"""

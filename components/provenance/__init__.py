"""Provenance: what a model came from, and whether it is as it was.

Where to begin reading, by question:

- What is a record? ``record``; how one is put together: ``build``, from ``lineage`` (the walk over the
  store), ``sources`` and ``origins`` (raw inputs), ``hashing`` (bytes), ``code``, ``repository``,
  ``environment``; what it could not tell: ``unknowns``.
- Was anything changed? ``snapshots``, ``readings``, ``chain``; how the cache follows bytes: ``content``.
- What may the model be used for? ``config`` (SourceDeclaration), ``declarations``, ``licences``,
  ``obligations``, ``conflicts``; who is in the data: ``subjects``.
- What is said of it? ``judge`` and ``words``, with the picture of ``view``.
- Who signed it? ``keys``, ``signing``, ``statement``, ``writing``; does it hold? ``verify``; what was
  pushed: ``push`` and ``carrying``.
- Questions to whole stores: ``query`` and ``diff``. Forms of others: ``exports``.

``component``, ``driver``, ``executor``, those that end so, and ``content`` are TFX's side; nothing else
imports TFX, but to open files that are not local.
"""

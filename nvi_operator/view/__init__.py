"""What people and programs read: text in styles, and JSON. Never computes, never touches the kernel.

Most files show what the command of that name prints: doctor, drift, history, invariants, module, nat, nat_log, plan,
render, simulation, status (status_text); explain/, preview/ and graph/ likewise. The others:

entries       a plan in the words of the spec (entry_words)
flow_cache, flows: of `status` and `show`. counters: what each one counts
first_spec    the YAML of `init`
error, events, junit, plain: forms for programs
redact        reports without secrets
segment, table, progress: text, tables and the spinner
"""

"""From files to one checked gateway, with the place of every value.

loader        all of it. Start here. every_host: for each host that the spec names
files         which files; yaml_reader (yaml_scalars, yaml_errors): text to data with places
yaml_documents: data to models; validation_messages: what is wrong in them, in the words of the language;
              left_entries: what is left without that
entries       entries in files beside the YAML: entries_csv, entries_json, entry_rows; first_entries: wrong ones, soon
merge         several documents to one gateway
"""

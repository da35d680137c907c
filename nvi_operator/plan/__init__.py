"""From a topology to the desired state, and from two states to the steps between them. Pure.

compile       topology to desired state
diff          live and desired state to steps. change: what a plan and a step are. left_alone: drift that stays
incremental   the fast way after an edit
stranded      flows whose translation leads nowhere afterwards. unanswered: those that nothing took when they opened

trace         from each step to the entry of the spec that asks for it (ADR 0018): pieces of the nft table
              (table_owners, names), everything else (owners, rule_words); origins: with file and line
observation   a gateway's state in a file (sealed, typed_json)
"""

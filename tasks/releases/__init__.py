"""Releases: written, read back, switched to, rolled back, read and retired; the only room that uses the Feast SDK.

`manifest` and `offline` say what a release is and keep its files; `embedded` runs PostgreSQL; `stores` opens the
feature store; `ledger` is the record of releases; `publishing` moves one release to the readers; `reading` reads.
`writing` brings rows online: `changes` says which, `encoding` makes their bytes, `groups` says where PostgreSQL has
them.
"""

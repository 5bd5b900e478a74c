"""WHMCS asked by its API: what hangs on a server, what a gateway owes."""

"""Any series that is measured, in one picture."""

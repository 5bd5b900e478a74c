"""The steps from one schema to the next. The release before must still run on the schema after."""

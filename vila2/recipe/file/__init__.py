"""A recipe's file: reading, extending, overriding, and naming what is wrong with it."""

"""Plain records and rules that every other room uses. No framework is imported here."""

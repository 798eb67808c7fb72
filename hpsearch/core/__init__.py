"""Plain records and rules that all other packages use. No framework is imported here."""

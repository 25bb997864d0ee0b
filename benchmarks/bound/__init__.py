"""What this machine's vector units can do at best, and what the compiled loops ask of them (docs/speed.md)."""

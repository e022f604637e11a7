"""The layouts of a pair side by side: started, loaded, measured, reported."""

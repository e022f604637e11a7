"""What is done for every request whatever it asks for: one file a concern, over heads alone, and one chain of them."""

"""What puts the pair into one container and keeps it alive there."""

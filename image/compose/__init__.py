"""OCI images in, one OCI image out, without a daemon: the backend's layers as they are, one more on top, one config."""

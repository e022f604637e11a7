"""The supervisord plugin: what stock supervisord lacks as a container's first process."""

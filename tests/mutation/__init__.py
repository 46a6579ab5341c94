"""Every value of the spec that drives behaviour is changed, and the change is seen on the wire."""

"""Replies made from the spec alone: from its examples, or at random from its schemas."""

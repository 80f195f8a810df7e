"""What is claimed of a recurrent layer, and the judging of it."""

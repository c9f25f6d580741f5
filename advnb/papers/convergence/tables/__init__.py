"""Tables 1 to 3, Figures 4 and 5: the defences against each other."""

"""What section 5 of Wang et al. (2022) leaves open, what the released code does differently, and Figure 7."""

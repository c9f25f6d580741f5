"""The lemmas of Deng et al. (2020), section 4 and appendix A, each beside what it bounds."""

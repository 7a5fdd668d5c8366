"""SimCLR and t-SimCLR against false negatives: plain p, debiased p, and Chuang's debiased partition."""

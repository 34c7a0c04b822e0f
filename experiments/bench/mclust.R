# Passes of EM for Gaussian mixtures by mclust, for mixtures.py --mclust.
# Usage: Rscript mclust.R FILE.csv COMPONENTS full|diagonal PASSES MORE
# Prints seconds of a pass, and the mean log-likelihood of a row after PASSES of them from the parameters that the labels
# in the first column give.
suppressMessages(library(mclust))
arguments <- commandArgs(trailingOnly = TRUE)
table <- as.matrix(read.csv(arguments[1]))
K <- as.integer(arguments[2])
passes <- as.integer(arguments[4])
more <- as.integer(arguments[5])
x <- table[, -1]
z <- unmap(table[, 1], groups = 0:(K - 1))
model <- if (arguments[3] == "diagonal") "VVI" else "VVV"
run <- function(n) me(x, modelName = model, z = z, control = emControl(eps = 0, tol = c(0, 0), itmax = c(n, n)), warn = FALSE)
# Its first pass takes the parameters from the labels.
longer <- system.time(run(passes + 1 + more))["elapsed"]
shorter <- system.time(fit <- run(passes + 1))["elapsed"]
cat(sprintf("%.9g %.15g\n", (longer - shorter) / more, fit$loglik / nrow(x)))

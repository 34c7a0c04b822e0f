"""Colour and absolute magnitude of near and bright stars, as csv on standard output: a Hertzsprung-Russell diagram.

Usage: python3 hr_diagram.py STARS.csv.gz, with columns plx_mas, vmag and bv. A parallax above 10 mas is a distance below
100 pc, where Hipparcos errs by about a tenth. Stars of magnitude 8 and fainter are left out: most of those in this file
are known from Tycho alone, whose parallaxes err by more than 10 mas and put distant giants among the dwarfs.
"""
import csv
import gzip
import math
import sys

print("bv,absolute_magnitude")
with gzip.open(sys.argv[1], "rt") as stars:
    for star in csv.DictReader(stars):
        if not (star["plx_mas"] and star["vmag"] and star["bv"]):
            continue
        if float(star["plx_mas"]) <= 10 or float(star["vmag"]) >= 8:
            continue
        # The distance in parsecs is 1000 / parallax; the absolute magnitude is that at 10 parsecs.
        magnitude = float(star["vmag"]) + 5 + 5 * math.log10(float(star["plx_mas"]) / 1000)
        print("%s,%.4f" % (star["bv"], magnitude))

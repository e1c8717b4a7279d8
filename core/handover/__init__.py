"""What a reviewer, a customer or an auditor is given: one file with the results, their doubts and where they come from.

A guide for newcomers, in the order a report is made.

**1. What is told.** `document` brings together all that is known of a run as one plain dictionary. `origins` is the
part on images, split, versions and hashes, `failures` the images it got wrong, with pictures, and `engines` how fast it
answers, measured on this machine by each way there is to run it.

**2. How it is told.** `tables` turns that into rows for a spreadsheet. `markup` writes HTML in which every figure
carries its exact value, `plots` draws, `results`, `doubts` and `sources` hold what stands under each heading, and
`page` makes the one file of it.

**3. Around it.** `job` is the program that does so for the dashboard. `checked` works the figures out again from the
run's answers and says which do not come out.
"""

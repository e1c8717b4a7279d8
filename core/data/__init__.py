"""From images somewhere to a dataset one can trust: sources, index, checks, corrections, splits, and what pages show.

A guide for newcomers, in the order one image meets these modules. Follow `dog.7.jpg` from a ZIP to a training run.

**1. It is brought in.** `intake` turns what a user names (folder, table, archive, `torchvision:NAME`) into images on
disk. `archives` unpacks ZIP and tar, and refuses what would lead outside; `uploads` takes files the browser sends;
`torchvision_sets` and `builtin` write known sets out as folders; `captures` grows a class from the webcam. `walk` finds
every image below a folder and counts all that is none.

**2. Its class is recognised.** `sources` decides which layout this is: class folders, split folders, flat names, a
table. `label_patterns` finds the class in `dog.7.jpg`; `tables` reads tables people bring along and `manifest_files`
knows which column says what; `reading` holds what the user says in place of what was recognised.

**3. It is read, once.** `index` is the job that makes the manifest. `readers` and `reading_processes` run several
processes of `probe`, which opens the file (by `plain_jpeg` or Pillow), measures it (`quality`), makes its small copy
(`shrink`) and stores that (`kept`). `checkpoint` keeps what was found in case the job is killed; `unchanged` answers at
once where nothing has changed since.

**4. It is checked against all others.** `duplicates` finds its copies; `scores` gives it a score by each of `checks`;
the outcome is a row of the `manifest`, one Parquet table a dataset. `stored` writes the description beside it;
`pending` lets the user look before anything is kept; `datasets` is the door all others use: list, open, index, accept.

**5. It is compared by what a network sees** (where the user asks for that). `analysis` starts the job in
`core.training.embed` and reads what it found: `label_issues` judges whether its label fits, `embedding_map` puts it on
a map, `neighbours` knows the images most like it.

**6. It is corrected.** `edits` relabels, excludes, restores, undoes; `ledger` is the append-only list of corrections
and what they amount to, a version with a fingerprint of its own; `cleaned` writes the corrected dataset elsewhere.

**7. It gets a side.** `splits` divides into train, val and test. `units` says what must stay together (copies, twins,
groups of the source), `carve` takes whole units until shares are met, `leaks` counts what stands on both sides.
`balance` and `resize_loss` advise on what training will make of these images.

**8. It is shown.** `filters` says which images are looked at; `summary` counts them into small tables; `health` puts
all checks into words; `thumbnails` and `mean_images` serve pictures by the content they show.

`verbs` and `analyse_verb` are the same work from the command line. What a later step knows an earlier one never asks:
read on from here in this order and nothing has to be taken on trust.
"""

"""Run folders: start, queue, watch, list, delete and tell the truth about them, all without torch.

A guide for newcomers, in the order a run meets these modules.

**1. Before it begins.** `trials` is how something is tried in a helper process: `preflight`, `lr_search` and
`previews` are such trials, `model_size` counts parameters. `devices` says where a run would compute.

**2. Its folder.** `store` makes and reads it. `repeat` notes what it takes to do the same again, `about` what people
say of it, `files` lists what is in it.

**3. Its turn.** `launch` starts, resumes, retries and stops runs by command line. `queue` is what people see and
change of the order; `order` is the file it is kept in, `slots` how many runs a device takes at once, `waits` what a
run waits for. `turn` is the small process that waits and then becomes the worker, `line` the queue as that process
sees it.

**4. Its end.** `ending` kills what a stop request did not end, `trouble` says what went wrong and what to do, `again`
with which settings it would have worked.

**5. Among others.** `listing` is the table of all runs, kept from one start to the next by `remembered`, and
`choosing` what of it is wanted. `series` starts groups that answer one question, `spread` and `more_images` read
them.

**6. Room for more.** `trash` deletes with undo, `disk` says what could be given back, `machine` how busy all is.
"""

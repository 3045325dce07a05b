// SPDX-License-Identifier: GPL-3.0-or-later
// A Flamenco 3 job type: a batch of reconstructions, one task a shard. See docs/headless.md.

const JOB_TYPE = {
    label: "DIST Batch",
    description: "Reconstruct shapes from many scenes with the DIST add-on",
    settings: [
        { key: "batch_file", type: "string", subtype: "file_path", required: true,
          description: "The lines to do (JSON lines), on storage that all workers share" },
        { key: "shards", type: "int32", default: 4, required: true,
          description: "How many tasks the lines are dealt out to: as many as workers, or more" },
    ],
};

function compileJob(job) {
    const { batch_file, shards } = job.settings;
    if (!(shards >= 1)) {
        throw new Error(`shards must be 1 or more, not ${shards}`);
    }
    for (let index = 1; index <= shards; index++) {
        const task = author.Task(`shard-${index}-of-${shards}`, "blender");
        task.addCommand(author.Command("exec", {
            exe: "{blender}",
            args: ["--command", "dist", "batch", batch_file, "--shard", `${index}/${shards}`],
        }));
        job.addTask(task);
    }
}

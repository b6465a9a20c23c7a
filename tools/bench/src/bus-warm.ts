import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openLane, type Lane } from '@emloc/nats';

const messageBytes = 1024 * 1024 - 1024;
const messageCount = 192;
const subject = 'bench.warm';

/**
 * Moves 192 MiB through a server that has just started, from this process to itself, so that its
 * heap has been touched once as that of a server in use has. Sender and receiver of what is
 * measured are as fresh as those of the other paths.
 */
export async function warmServer(natsUrl: string): Promise<void> {
  const lane = await openLane({ servers: [natsUrl] });
  try {
    for (let sent = 0; sent < messageCount; sent++)
      await roundTrip(lane, Buffer.alloc(messageBytes));
  } finally {
    lane.close();
  }
}

/**
 * Writes a file and deletes it, so that the memory that will hold the server's files is this
 * machine's: a virtual machine gives free memory back, and a first touch of it is slow.
 */
export async function warmPageCache(folder: string, byteLength: number): Promise<void> {
  const path = join(folder, 'warm');
  const block = Buffer.alloc(messageBytes);
  const file = await open(path, 'w');
  try {
    for (let written = 0; written < byteLength; written += block.length) await file.write(block);
  } finally {
    await file.close();
    await rm(path);
  }
}

function roundTrip(lane: Lane, payload: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = lane.subscribe(subject, (message) => {
      message.release();
      end();
      resolve();
    });
    if (!lane.publish(subject, [payload]))
      reject(new Error('bench bus: the connection to nats-server was lost'));
  });
}

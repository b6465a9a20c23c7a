import { openLane, type Lane } from '@emloc/service-kit';

const messageBytes = 1024 * 1024 - 1024;
const messageCount = 192;
const subject = 'bench.warm';

/**
 * Moves 192 MiB through a server that has just started, from this process to itself, so that its heap has been touched once as
 * that of a server in use has. Sender and receiver of what is measured are as fresh as those of the other paths.
 */
export async function warmServer(natsUrl: string): Promise<void> {
  const lane = await openLane({ servers: [natsUrl] });
  try {
    for (let sent = 0; sent < messageCount; sent++) await roundTrip(lane, Buffer.alloc(messageBytes));
  } finally {
    lane.close();
  }
}

function roundTrip(lane: Lane, payload: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = lane.subscribe(subject, (message) => {
      message.release();
      end();
      resolve();
    });
    if (!lane.publish(subject, [payload])) reject(new Error('bench bus: the connection to nats-server was lost'));
  });
}

// Reads the number stamped into each picture of two videos (see capture/pattern.py) and keeps when it was seen.
// In one page and one clock: the time between a number in the camera's own video and in the one that came back
// is the whole way there and back.
(() => {
  const canvas = document.createElement("canvas");
  canvas.width = 320;
  canvas.height = 40;
  const context = canvas.getContext("2d", { willReadFrequently: true });

  function number(video) {
    context.drawImage(video, 0, 0, video.videoWidth, video.videoHeight / 8, 0, 0, 320, 40);
    const { data } = context.getImageData(0, 0, 320, 40);
    const means = [];
    for (let cell = 0; cell < 32; cell += 1) {
      const row = cell >> 4, column = cell & 15;
      let sum = 0;
      for (let y = row * 20 + 6; y < row * 20 + 14; y += 1) {
        for (let x = column * 20 + 6; x < column * 20 + 14; x += 1) sum += data[(y * 320 + x) * 4 + 1];
      }
      means.push(sum / 64);
    }
    const white = (means[0] + means[3]) / 2, black = (means[1] + means[2]) / 2;
    if (Math.abs(white - black) < 8) return null;
    const bits = means.map((mean) => Number((mean - black) / (white - black) > 0.5));
    return parseInt(bits.slice(4, 24).join(""), 2) * 256 + parseInt(bits.slice(24).join(""), 2);
  }

  window.seen = { own: [], changed: [] };
  for (const id of ["own", "changed"]) {
    const video = document.getElementById(id);
    const look = (now, { width, height }) => {
      const stamp = number(video);
      if (stamp !== null) window.seen[id].push([stamp, now, width, height]);
      video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
  }
})();

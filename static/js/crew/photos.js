// Photos as the site keeps them anyway: a tenth of what a phone takes, for its storage and a slow net.
const LONGEST = 1600; // px

// The picture as a JPEG of at most 1600 px; the file itself where this browser cannot read it, for the site to judge.
export const smaller = async (file) => {
  try {
    const bitmap = await createImageBitmap(file);
    const scale = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
    const canvas = new OffscreenCanvas(Math.ceil(bitmap.width * scale), Math.ceil(bitmap.height * scale));
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    return await canvas.convertToBlob({ type: "image/jpeg", quality: 0.85 });
  } catch {
    return file;
  }
};

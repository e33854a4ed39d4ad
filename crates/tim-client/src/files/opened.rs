//! Sources that are open: their name, size and first bytes are known.

use std::future::poll_fn;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::runtime::Handle;

use super::blocking::blocking;
use super::source::{Content, Source, UploadSource};
use super::spool::Spool;

/// How much is read at a time while a file is hashed, or a reader is read to its end.
const CHUNK: usize = 128 * 1024;
/// The longest content that is hashed without a thread of its own.
const SHORT: usize = 64 * 1024;
/// How much of a reader is kept in memory.
const IN_MEMORY: usize = 1024 * 1024;
/// How many bytes at the beginning determine the format.
pub(super) const HEAD: usize = 16;

/// Why a source could not be opened.
#[derive(Debug)]
pub(super) enum OpenError {
    Nothing,
    Several(usize),
    /// A reader has more bytes than this kind of message may carry.
    TooLarge,
    /// The name of what cannot be read, and why.
    Unreadable(String, io::Error),
}

/// A source that can be read at any position. Clones share it.
#[derive(Clone)]
pub(super) struct Opened {
    /// The name without directories; may be empty.
    pub(super) name: String,
    /// The media type that the application has given; may be empty.
    pub(super) media_type: String,
    pub(super) size: u64,
    /// The first bytes.
    pub(super) head: Vec<u8>,
    stored: Stored,
}

#[derive(Clone)]
enum Stored {
    Memory(Arc<Vec<u8>>),
    Path(Arc<Path>),
    Spool(Arc<Spool>),
    Own(Arc<dyn UploadSource>),
}

impl Opened {
    /// Opens a source. Of a reader at most `most` bytes are taken.
    pub(super) async fn open(runtime: &Handle, source: Source, most: u64) -> Result<Self, OpenError> {
        let (stored, size, name, media_type) = match source.content {
            Content::Nothing => return Err(OpenError::Nothing),
            Content::Several(count) => return Err(OpenError::Several(count)),
            Content::Path(path) => {
                let (size, path) = stat(runtime, path).await?;
                let name = path.file_name().unwrap_or_default();
                let name = name.to_string_lossy().into_owned();
                (Stored::Path(path.into()), size, name, String::new())
            }
            Content::Bytes(bytes) => {
                let size = bytes.len() as u64;
                (
                    Stored::Memory(Arc::new(bytes)),
                    size,
                    String::new(),
                    String::new(),
                )
            }
            Content::Reader(reader) => {
                let (stored, size) = read_to_end(runtime, reader, most).await?;
                (stored, size, String::new(), String::new())
            }
            Content::Own(own) => {
                let (size, name, media_type) =
                    (own.size(), own.name().to_owned(), own.media_type().to_owned());
                (Stored::Own(own), size, name, media_type)
            }
        };
        let name = source.name.unwrap_or(name);
        let mut opened = Self {
            name: base_name(&name).to_owned(),
            media_type: source.media_type.unwrap_or(media_type),
            size,
            head: Vec::new(),
            stored,
        };
        let len = size.min(HEAD as u64) as usize;
        let head = opened.read(runtime, 0, len).await;
        opened.head = head.map_err(|error| OpenError::Unreadable(name, error))?;
        Ok(opened)
    }

    /// The path, if there is one, to be opened again after a restart.
    pub(super) fn path(&self) -> Option<&Path> {
        match &self.stored {
            Stored::Path(path) => Some(path),
            _ => None,
        }
    }

    /// Its name in errors: the path, or else the name.
    pub(super) fn what(&self) -> String {
        self.path()
            .map_or_else(|| self.name.clone(), |path| path.display().to_string())
    }

    /// `len` bytes from `offset`; an error if there are fewer.
    pub(super) async fn read(&self, runtime: &Handle, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        match &self.stored {
            Stored::Memory(bytes) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX);
                let to = from.saturating_add(len);
                bytes.get(from..to).map(<[u8]>::to_vec).ok_or_else(shorter)
            }
            stored => {
                let stored = stored.clone();
                blocking(runtime, move || {
                    let mut bytes = vec![0; len];
                    stored.fill(offset, &mut bytes)?;
                    Ok(bytes)
                })
                .await
            }
        }
    }

    /// The SHA-256 of the content.
    pub(super) async fn sha256(&self, runtime: &Handle) -> io::Result<[u8; 32]> {
        match &self.stored {
            Stored::Memory(bytes) if bytes.len() <= SHORT => Ok(Sha256::digest(bytes.as_slice()).into()),
            stored => {
                let (stored, size) = (stored.clone(), self.size);
                blocking(runtime, move || stored.hash(size)).await
            }
        }
    }
}

impl Stored {
    fn hash(&self, size: u64) -> io::Result<[u8; 32]> {
        if let Self::Memory(bytes) = self {
            return Ok(Sha256::digest(bytes.as_slice()).into());
        }
        let mut hash = Sha256::new();
        let mut buffer = vec![0; CHUNK];
        let mut offset = 0;
        while offset < size {
            let len = (size - offset).min(CHUNK as u64) as usize;
            let piece = &mut buffer[..len];
            self.fill(offset, piece)?;
            hash.update(piece);
            offset += len as u64;
        }
        Ok(hash.finalize().into())
    }

    /// Fills the buffer from `offset`.
    fn fill(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        use std::io::{Read as _, Seek as _, SeekFrom};
        match self {
            Self::Memory(_) => Err(io::ErrorKind::Unsupported.into()), // read where it is
            Self::Path(path) => {
                let mut file = std::fs::File::open(path)?;
                file.seek(SeekFrom::Start(offset))?;
                file.read_exact(buffer).map_err(|error| match error.kind() {
                    io::ErrorKind::UnexpectedEof => shorter(),
                    _ => error,
                })
            }
            Self::Spool(spool) => spool.read_exact_at(offset, buffer),
            Self::Own(own) => {
                let mut done = 0;
                while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
                    let room = rest.len();
                    match own.read_at(offset + done as u64, rest)? {
                        0 => return Err(shorter()),
                        len => done += len.min(room),
                    }
                }
                Ok(())
            }
        }
    }
}

fn shorter() -> io::Error {
    io::Error::other("the file has become shorter since the message was created")
}

/// The part after the last `/` or `\`.
fn base_name(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or_default()
}

/// The size of the file at a path.
async fn stat(runtime: &Handle, path: PathBuf) -> Result<(u64, PathBuf), OpenError> {
    let at = path.clone();
    let size = blocking(runtime, move || {
        let metadata = std::fs::metadata(&at)?;
        match metadata.is_file() {
            true => Ok(metadata.len()),
            false => Err(io::Error::other("not a file")),
        }
    });
    match size.await {
        Ok(size) => Ok((size, path)),
        Err(error) => Err(OpenError::Unreadable(path.display().to_string(), error)),
    }
}

/// Reads to the end, into memory or a temporary file.
async fn read_to_end(
    runtime: &Handle,
    mut reader: Pin<Box<dyn AsyncRead + Send>>,
    most: u64,
) -> Result<(Stored, u64), OpenError> {
    let failed = |error| OpenError::Unreadable("the reader".to_owned(), error);
    let mut buffer = vec![0; CHUNK];
    let mut memory = Vec::new();
    let mut spool: Option<Arc<Spool>> = None;
    let mut size: u64 = 0;
    loop {
        let len = poll_fn(|context| {
            let mut space = ReadBuf::new(&mut buffer);
            let read = reader.as_mut().poll_read(context, &mut space);
            read.map_ok(|()| space.filled().len())
        });
        let len = len.await.map_err(failed)?;
        size = size.saturating_add(len as u64);
        if size > most {
            return Err(OpenError::TooLarge);
        }
        memory.extend_from_slice(&buffer[..len]);
        let has_ended = len == 0;
        if has_ended && spool.is_none() {
            return Ok((Stored::Memory(Arc::new(memory)), size));
        }
        let most = if spool.is_some() { CHUNK } else { IN_MEMORY };
        if !has_ended && memory.len() < most {
            continue;
        }
        let (to, bytes) = (spool.take(), std::mem::take(&mut memory));
        let written = blocking(runtime, move || {
            let spool = to.map_or_else(|| Spool::create().map(Arc::new), Ok)?;
            spool.append(&bytes)?;
            Ok(spool)
        });
        let written = written.await.map_err(failed)?;
        if has_ended {
            return Ok((Stored::Spool(written), size));
        }
        spool = Some(written);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Slow(Vec<u8>);

    impl UploadSource for Slow {
        fn name(&self) -> &str {
            "C:\\notes\\a.txt"
        }
        fn size(&self) -> u64 {
            self.0.len() as u64
        }
        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
            let rest = &self.0[(offset as usize).min(self.0.len())..];
            let len = rest.len().min(buffer.len()).min(1000);
            buffer[..len].copy_from_slice(&rest[..len]);
            Ok(len)
        }
    }

    fn content(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at % 251) as u8).collect()
    }

    #[tokio::test]
    async fn every_shape_of_a_source_yields_the_same_bytes() {
        let runtime = &Handle::current();
        let dir = tempfile::tempdir().unwrap();
        let long = content(3 * IN_MEMORY + 5);
        let path = dir.path().join("a.txt");
        std::fs::write(&path, &long).unwrap();
        let sources = [
            Source::path(&path),
            Source::bytes("/notes/a.txt", long.clone()),
            Source::reader("a.txt", io::Cursor::new(long.clone())),
            Source::from(Arc::new(Slow(long.clone()))),
            Source::from(vec![Some(&*path)]),
        ];
        let sum: [u8; 32] = Sha256::digest(&long).into();
        for source in sources {
            let opened = Opened::open(runtime, source, long.len() as u64).await.unwrap();
            assert_eq!((&*opened.name, opened.size), ("a.txt", long.len() as u64));
            assert_eq!(opened.head, long[..HEAD]);
            assert_eq!(opened.sha256(runtime).await.unwrap(), sum);
            let piece = opened.read(runtime, 1_000_000, 70_000).await.unwrap();
            assert_eq!(piece, long[1_000_000..1_070_000]);
            assert!(opened.read(runtime, 1_000_000, long.len()).await.is_err());
        }
    }

    #[tokio::test]
    async fn what_is_no_single_file_of_a_fitting_size_is_refused() {
        let runtime = &Handle::current();
        let open = async |source: Source| match Opened::open(runtime, source, 100).await {
            Ok(_) => panic!("it was opened"),
            Err(error) => error,
        };
        assert!(matches!(open(None::<Source>.into()).await, OpenError::Nothing));
        assert!(matches!(
            open(Vec::<Source>::new().into()).await,
            OpenError::Nothing
        ));
        let two = vec![Source::bytes("a", "a"), Source::bytes("b", "b")];
        assert!(matches!(open(two.into()).await, OpenError::Several(2)));
        let long = Source::reader("a", io::Cursor::new(content(101)));
        assert!(matches!(open(long).await, OpenError::TooLarge));
        let dir = tempfile::tempdir().unwrap();
        for path in [dir.path().to_owned(), dir.path().join("none")] {
            assert!(matches!(open(path.into()).await, OpenError::Unreadable(..)));
        }
    }
}

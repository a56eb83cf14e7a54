//! Where a request reads and writes, for the hot paths.

use jute::proto::MultiOp;

use crate::base::path;
use crate::metrics::Touch;
use crate::prep::WriteRequest;
use crate::replica::request::{ReadRequest, Request};

/// Appends what `request` does to which znodes, as far as it names them.
pub(super) fn touches<'a>(request: &'a Request, into: &mut Vec<(Touch, &'a str)>) {
    match request {
        Request::Read(ReadRequest::MultiRead(multi)) => {
            multi.ops.iter().for_each(|op| of_part(op, into));
        }
        Request::Read(request) => {
            if is_of_tree(request) {
                read(request.path(), into);
            }
        }
        Request::Write(WriteRequest::Multi(multi)) => {
            multi.ops.iter().for_each(|op| of_part(op, into));
        }
        Request::Write(request @ (WriteRequest::SetData(_) | WriteRequest::SetAcl(_))) => {
            write(request.path(), into);
        }
        Request::Write(WriteRequest::Reconfig(_)) => write(Some(path::CONFIG), into),
        Request::Write(request) => birth_or_death(request.path(), into),
    }
}

/// Whether it looks at a znode, not only at watches.
fn is_of_tree(request: &ReadRequest) -> bool {
    matches!(
        request,
        ReadRequest::Exists(_)
            | ReadRequest::GetData(_)
            | ReadRequest::GetChildren(_)
            | ReadRequest::GetChildren2(_)
            | ReadRequest::GetAcl(_)
            | ReadRequest::GetAllChildrenNumber(_)
    )
}

fn of_part<'a>(op: &'a MultiOp, into: &mut Vec<(Touch, &'a str)>) {
    match op {
        MultiOp::Create(_, request) => birth_or_death(request.path.as_deref(), into),
        MultiOp::CreateTtl(request) => birth_or_death(request.path.as_deref(), into),
        MultiOp::Delete(request) => birth_or_death(request.path.as_deref(), into),
        MultiOp::SetData(request) => write(request.path.as_deref(), into),
        MultiOp::Check(request) => read(request.path.as_deref(), into),
        MultiOp::GetData(path) | MultiOp::GetChildren(path) => read(path.as_deref(), into),
    }
}

fn read<'a>(path: Option<&'a str>, into: &mut Vec<(Touch, &'a str)>) {
    into.extend(path.map(|path| (Touch::Read, path)));
}

fn write<'a>(path: Option<&'a str>, into: &mut Vec<(Touch, &'a str)>) {
    into.extend(path.map(|path| (Touch::Write, path)));
}

fn birth_or_death<'a>(path: Option<&'a str>, into: &mut Vec<(Touch, &'a str)>) {
    write(path, into);
    let parent = path.and_then(|path| path.rsplit_once('/'));
    into.extend(parent.map(|(parent, _)| match parent {
        "" => (Touch::Children, "/"),
        parent => (Touch::Children, parent),
    }));
}

#[cfg(test)]
mod tests {
    use jute::Op;
    use jute::proto::{
        CreateRequest, DeleteRequest, MultiRequest, SetDataRequest, WatchableRequest,
    };

    use super::*;

    fn touched(request: &Request) -> Vec<(Touch, &str)> {
        let mut all = Vec::new();
        touches(request, &mut all);
        all
    }

    fn create(path: &str) -> CreateRequest {
        CreateRequest {
            path: Some(path.into()),
            ..CreateRequest::default()
        }
    }

    #[test]
    fn what_is_made_or_removed_changes_the_children_of_its_parent() {
        let request = Request::Write(WriteRequest::Create(Op::Create, create("/locks/lock-")));
        let expected = [(Touch::Write, "/locks/lock-"), (Touch::Children, "/locks")];
        assert_eq!(touched(&request), expected);
        let delete = DeleteRequest {
            path: Some("/top".into()),
            version: -1,
        };
        let request = Request::Write(WriteRequest::Delete(delete));
        assert_eq!(
            touched(&request),
            [(Touch::Write, "/top"), (Touch::Children, "/")]
        );
    }

    #[test]
    fn every_part_of_a_multi_counts_for_itself() {
        let set = SetDataRequest {
            path: Some("/a".into()),
            ..SetDataRequest::default()
        };
        let ops = vec![
            MultiOp::SetData(set),
            MultiOp::Create(Op::Create, create("/b/c")),
            MultiOp::SetData(SetDataRequest::default()),
        ];
        let request = Request::Write(WriteRequest::Multi(MultiRequest { ops }));
        let expected = [
            (Touch::Write, "/a"),
            (Touch::Write, "/b/c"),
            (Touch::Children, "/b"),
        ];
        assert_eq!(touched(&request), expected);
    }

    #[test]
    fn what_looks_at_no_znode_is_no_read() {
        let path = || Some("/a".into());
        let exists = WatchableRequest {
            path: path(),
            watch: true,
        };
        let request = Request::Read(ReadRequest::Exists(exists));
        assert_eq!(touched(&request), [(Touch::Read, "/a")]);
        for request in [
            ReadRequest::Sync(path()),
            ReadRequest::GetEphemerals(path()),
        ] {
            assert_eq!(touched(&Request::Read(request)), []);
        }
        assert_eq!(touched(&Request::Write(WriteRequest::CloseSession)), []);
    }
}
